"""The report as a static site: every suite's leaderboards, figures and runs, from rows and suite files alone."""
