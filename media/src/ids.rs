//! Names of things that live in the media path.

/// One side of a call, as the media path knows it. Chosen by call control, never reused in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u32);

/// One playing of a prompt. Chosen by call control, never reused in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromptId(pub u32);
