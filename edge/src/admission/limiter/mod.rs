//! Token buckets: the arithmetic (`bucket`, `lease`) is pure, `local` keeps buckets in this process, `redis` shares them.

mod bucket;
mod lease;
mod local;
mod projects;
mod redis;

pub use local::LocalLimiter;
pub use redis::RedisLimiter;
