-- Version 3. What retention has dropped of each table: rows with these sequences may be gone.
CREATE TABLE removed (name text PRIMARY KEY, below_seq bigint NOT NULL);
