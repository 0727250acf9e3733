"""Questions with known answers, calibration of an engine on them, and reports on what came out."""
