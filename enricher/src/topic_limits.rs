//! What happens when an output topic takes smaller records than the settings say. The same outputs would fail for ever, so the
//! batches are processed again under the limit that the topic really has.

use crate::core::{Assets, Rules};
use crate::outputs::Destination;

/// An output that can't be made small enough.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the topic of {output:?} records takes {limit} bytes a record, too few for any; raise its max.message.bytes to {}",
    output.setting()
)]
pub(crate) struct NoSmaller {
    output: Destination,
    limit: usize,
}

/// The same assets with a tighter limit on the values of one topic.
pub(crate) fn tightened(assets: &Assets, output: Destination, limit: usize) -> Result<Assets, NoSmaller> {
    let mut assets = assets.clone();
    let value_limit = match output {
        Destination::Raw => &mut assets.rules.max_raw_value,
        Destination::Errors => &mut assets.rules.max_reject_value,
    };
    if *value_limit == 0 {
        return Err(NoSmaller { output, limit });
    }
    let within = Rules::value_within(limit);
    // A limit that did not help must not be tried again.
    *value_limit = if within < *value_limit {
        within
    } else {
        *value_limit / 2
    };
    Ok(assets)
}

#[cfg(test)]
mod tests {
    use gosight_config::EnricherSettings;

    use super::tightened;
    use crate::core::{Assets, Rules};
    use crate::outputs::Destination;

    #[test]
    fn each_step_makes_the_limit_smaller_until_there_is_no_smaller() {
        let mut assets = Assets::new(&EnricherSettings::default(), None);
        assets = tightened(&assets, Destination::Raw, 100_000).unwrap();
        assert_eq!(assets.rules.max_raw_value, Rules::value_within(100_000));
        let reject_value = assets.rules.max_reject_value;
        let mut steps = 0;
        while let Ok(tighter) = tightened(&assets, Destination::Raw, 100_000) {
            assert!(tighter.rules.max_raw_value < assets.rules.max_raw_value);
            assets = tighter;
            steps += 1;
        }
        assert!(steps < 20, "{steps}");
        assert_eq!(assets.rules.max_reject_value, reject_value);
    }
}
