"""The command line; commands are entry points of the group `rtbench.commands`, each imported only when used."""
