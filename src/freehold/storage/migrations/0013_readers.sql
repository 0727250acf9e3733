-- Whose eyes a key reads private documents with.
ALTER TABLE keys ADD COLUMN user TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN user_groups TEXT NOT NULL DEFAULT '';    -- with a space between two
ALTER TABLE keys ADD COLUMN clearance INTEGER NOT NULL DEFAULT 3;    -- highest level that it reads; 3 is restricted
