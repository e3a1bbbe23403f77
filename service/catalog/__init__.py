"""The catalog's REST API: `client` calls it, `endpoints` knows what there is, `paging` walks through its listings."""
