//! Many rows by few statements: each statement is a round trip to SQLite's thread.

use std::sync::{Arc, LazyLock};

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use super::super::headers;
use crate::NewRecord;

/// Statements take 1, 2, 4 … rows, so that ten prepared ones serve every count. The largest: 2^9.
const SHAPES: u32 = 10;
/// A statement is not filled beyond this, bytes: its values are copied.
const MAX_STATEMENT_BYTES: usize = 1 << 20;

static STATEMENTS: LazyLock<Vec<Arc<str>>> = LazyLock::new(|| {
    (0..SHAPES)
        .map(|shape| {
            let rows = vec!["(?,?,?,?,?)"; 1 << shape].join(",");
            format!("INSERT INTO records (id, timestamp, key, headers, value) VALUES {rows}").into()
        })
        .collect()
});

/// One row of `records`.
pub(super) struct Row<'a> {
    pub(super) id: i64,
    pub(super) timestamp: i64,
    pub(super) record: &'a NewRecord,
}

/// Inserts the rows.
pub(super) async fn insert(connection: &mut SqliteConnection, rows: &[Row<'_>]) -> Result<(), sqlx::Error> {
    let mut rest = rows;
    while !rest.is_empty() {
        let shape = shape_of(rest);
        let Some(statement) = STATEMENTS.get(shape) else {
            return Err(sqlx::Error::WorkerCrashed);
        };
        let (chunk, later) = rest.split_at(1 << shape);
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone(statement)));
        for row in chunk {
            query = query
                .bind(row.id)
                .bind(row.timestamp)
                .bind(row.record.key.as_ref())
                .bind(headers::encode(&row.record.headers))
                .bind(row.record.value.as_ref());
        }
        query.execute(&mut *connection).await?;
        rest = later;
    }
    Ok(())
}

/// The largest shape (log2 of its rows) that the first rows fill without being too many bytes.
fn shape_of(rows: &[Row<'_>]) -> usize {
    let mut bytes = 0;
    let fitting = rows
        .iter()
        .take(1 << (SHAPES - 1))
        .take_while(|row| {
            bytes += row.record.size();
            bytes <= MAX_STATEMENT_BYTES
        })
        .count();
    usize::try_from(fitting.max(1).ilog2()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{MAX_STATEMENT_BYTES, Row, shape_of};
    use crate::NewRecord;

    fn shape(sizes: &[usize]) -> usize {
        let records: Vec<NewRecord> = sizes
            .iter()
            .map(|size| NewRecord {
                topic: "t".into(),
                key: bytes::Bytes::new(),
                value: vec![0; *size].into(),
                headers: Vec::new(),
            })
            .collect();
        let rows: Vec<Row<'_>> = records
            .iter()
            .map(|record| Row {
                id: 1,
                timestamp: 1,
                record,
            })
            .collect();
        shape_of(&rows)
    }

    #[test]
    fn a_statement_takes_a_power_of_two_of_rows_and_few_large_ones() {
        assert_eq!(shape(&[1]), 0);
        assert_eq!(shape(&[1; 3]), 1);
        assert_eq!(shape(&[1; 5_000]), 9);
        assert_eq!(shape(&[MAX_STATEMENT_BYTES / 2; 9]), 1);
        assert_eq!(shape(&[MAX_STATEMENT_BYTES * 2; 2]), 0);
    }
}
