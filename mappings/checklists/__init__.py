"""Which records a second opinion needs, and how they stand: checklists as data (shipped/), judged by pure functions."""
