//! Faults around the worker, and what must be so after each of them: nothing lost, nothing done twice, nothing stuck.

mod broker;
mod cases;
mod credentials;
mod deadly;
mod held;
mod load;
mod long;
mod network;
mod randomised;
mod scene;
mod settling;
mod topology;

pub use randomised::seed;
