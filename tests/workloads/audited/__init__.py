"""What the programs after the audited systems have in common: their command line, the processes
beside them, and their pace. None of this is at fault in any row."""
