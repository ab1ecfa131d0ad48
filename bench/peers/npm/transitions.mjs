// What is new in the world, read at each hint and once a second.
import pg from "pg";

const READ = `
  select seq::int, to_json(at)#>>'{}' as at, machine_id::text as "machineId", upper(kind) as kind,
         to_state as "toState"
  from transitions where world_id = (select world_id from worlds where name = 'local') and seq > $1
  order by seq limit 500`;

export const connection = (dsn) => {
  const url = new URL(dsn.replace("postgresql://", "http://").replace("@/", "@localhost/"));
  return {
    user: url.username,
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
    host: url.searchParams.get("host") ?? url.hostname,
    port: Number(url.searchParams.get("port") || url.port || 5432),
  };
};

export async function follow(dsn, tell) {
  const client = new pg.Client(connection(dsn));
  await client.connect();
  let wake = () => {};
  client.on("notification", () => wake());
  await client.query("listen deployd");
  let seq = 0;
  for (;;) {
    const news = new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, 1000);
    });
    const { rows } = await client.query({ name: "read", text: READ, values: [seq] });
    if (rows.length) {
      seq = rows.at(-1).seq;
      tell(rows);
    } else {
      await news;
    }
  }
}
