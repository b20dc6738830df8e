"""Where data lies: table definitions, the lake, exactly-once publishing and the books."""
