"""The spool: items that wait for a destination, kept on disk so that they outlive the process."""
