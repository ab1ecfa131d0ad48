-- name: add_upload_part
insert into uploads (world_id, id, number, content) values ($1, $2, $3, $4)
on conflict (world_id, id, number) do nothing;

-- name: get_upload_part
select content from uploads where world_id = $1 and id = $2 and number = $3;

-- name: remove_upload
delete from uploads where world_id = $1 and id = $2;
