-- A change that only plans ends as `planned`.

alter table machines drop constraint machines_state;
alter table machines add constraint machines_state check (
    kind = 'service' and state in ('idle', 'deploying', 'serving', 'suspending', 'suspended', 'retiring', 'retired')
    or kind = 'deployment' and state in ('queued', 'fetching', 'planning', 'awaiting_approval', 'building', 'provisioning', 'releasing', 'verifying', 'succeeded', 'rolling_back', 'rolled_back', 'failed', 'cancelling', 'cancelled', 'superseded')
    or kind = 'resource' and state in ('requested', 'creating', 'ready', 'updating', 'deleting', 'deleted', 'failed')
    or kind = 'change' and state in ('received', 'planning', 'awaiting_approval', 'applying', 'planned', 'done', 'partly', 'failed', 'cancelled')
);
