//! What is done, missing, torn or in error; markers and results by adapter. Pure over listings.
