"""One page that tells of one run or several: what `bin/report` writes."""
