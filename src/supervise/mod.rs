//! Decide and act: a pure `step` and a thin driver.
