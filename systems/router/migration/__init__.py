"""The migration job: oldest studies from the PACS into the cloud, removed only when proven (ROUTER-195)."""
