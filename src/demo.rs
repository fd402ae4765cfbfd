//! The fictional town of Steverau, to try things out.
