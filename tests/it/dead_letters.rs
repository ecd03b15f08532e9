//! Dead letters in the hands of operators: looked at without harm, moved without loss.

#![expect(clippy::print_stdout, reason = "seeds and figures are for who reads the output")]

mod desk;
mod foreign;
mod looking;
mod moving;
mod safety;
mod worked;
