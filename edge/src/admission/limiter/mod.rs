//! Token buckets: the arithmetic (`bucket`, `lease`) is pure, `local` keeps buckets in this process, `redis` shares them.

mod bucket;
mod lease;
mod local;
mod projects;
mod quotas;
mod redis;

pub use local::LocalLimiter;
pub use redis::RedisLimiter;

/// Whose buckets.
#[derive(Debug, Clone, Copy)]
enum Owner<'a> {
    Project(&'a str),
    Key(&'a str),
}

impl Owner<'_> {
    fn redis_name(self) -> String {
        match self {
            Self::Project(id) => format!("gosight:limit:v2:{id}"),
            Self::Key(id) => format!("gosight:limit:v2:key:{id}"),
        }
    }
}
