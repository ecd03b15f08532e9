//! The world around the worker, for tests and the demo: brokers, blob storage, media services, faults, public names.

pub mod amqp;
pub mod bench;
pub mod certificates;
pub mod cloud;
pub mod collector;
pub mod demo;
pub mod emulator;
pub mod hostile;
pub mod overhead;
pub mod playing;
pub mod process;
pub mod proxy;
pub mod relay;
pub mod storage;
pub mod tcp_proxy;
pub mod zone;
