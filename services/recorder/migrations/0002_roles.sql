-- Who may do what. The recorder only adds to what was said and done: nobody who works as `fleet_recorder` can change
-- or remove a record, a fill or an account state. Orders, positions and its own place are projections, which it renews.
-- Roles belong to the whole server, so another database, or another session just now, may have made them.

DO $$
BEGIN
    CREATE ROLE fleet_recorder NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$
BEGIN
    CREATE ROLE fleet_reader NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

-- Whoever applies this connects for the recorder too, and steps down to the role.
GRANT fleet_recorder TO CURRENT_USER;

GRANT USAGE ON SCHEMA fleet TO fleet_recorder, fleet_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA fleet TO fleet_recorder, fleet_reader;
GRANT INSERT ON fleet.event_log, fleet.fills, fleet.account_states, fleet.entries, fleet.rejected TO fleet_recorder;
GRANT INSERT, UPDATE ON fleet.orders, fleet.positions, fleet.recorder_position TO fleet_recorder;
-- Later migrations need not repeat the right to read.
ALTER DEFAULT PRIVILEGES IN SCHEMA fleet GRANT SELECT ON TABLES TO fleet_reader;
