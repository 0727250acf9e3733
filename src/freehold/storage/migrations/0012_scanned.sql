-- Whether a refused body was looked through to the end: a release of one that was not lifts that rule too.
ALTER TABLE refused_bodies ADD COLUMN scan_complete INTEGER NOT NULL DEFAULT 1;
