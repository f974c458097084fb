"""The HTML report on one or several runs that `bin/report` writes."""
