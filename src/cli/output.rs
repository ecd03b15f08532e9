//! Answers to standard output.

use std::io::Write;

use super::Exit;

/// Prints the answer. Who reads it may be gone, as `head` soon is: then there is nobody to tell, and it has failed.
pub fn print(text: &str, exit: Exit) -> Exit {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => exit,
        Err(_) => Exit::Failed,
    }
}
