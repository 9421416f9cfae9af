//! Live, plain, JSON and status views: folds over events.
