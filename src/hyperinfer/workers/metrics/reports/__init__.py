"""Usage reports: what a day and a week came to, as a page to be mailed, as a table and as text; made by the clock, and kept."""
