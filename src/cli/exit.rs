//! Exit codes as a type.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done = 0,
    /// It failed; standard error says why.
    Failed = 1,
    /// Nothing is there that the arguments mean.
    Nothing = 2,
    /// The worker was stopped before its running jobs had ended; their messages are back in the queue.
    CutShort = 3,
    /// Wrong arguments or settings (EX_USAGE of sysexits).
    BadSettings = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
