//! Web vitals: `{lcp, fid, cls, ttfb, fcp, inp}` or `{metric, value}`; measures are finite and not negative.

use super::Payload;
use crate::core::json::Kind;
use crate::core::problems::Problems;
use crate::core::validate::Bounds;

const MEASURES: [&str; 7] = ["lcp", "fid", "cls", "ttfb", "fcp", "inp", "value"];

pub(in crate::core) fn check(payload: &Payload<'_>, _bounds: Bounds<'_>, problems: &mut Problems) {
    payload.kinds(&["metric"], Kind::String, problems);
    for name in MEASURES {
        if let Some(measure) = payload.number(name, problems)
            && measure < 0.0
        {
            problems.out_of_range(format!("/payload/{name}"), "0 or more", &measure.to_string());
        }
    }
    if payload.get("metric").is_some() && payload.get("value").is_none() {
        problems.missing("/payload/value", "send what was measured of the metric");
    }
}
