"""What a run's folder holds, for everyone who reads one."""
