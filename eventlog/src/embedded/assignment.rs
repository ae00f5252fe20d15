//! Which member of a group shall have which partitions.

use std::collections::{BTreeMap, BTreeSet};

/// Spreads partitions `0..partitions` over the members so that their counts differ by one at the most, and as many as possible
/// stay where they are. `owned` says what each member has now; no partition is owned twice.
pub(super) fn assign(partitions: i32, owned: &BTreeMap<u64, BTreeSet<i32>>) -> BTreeMap<u64, BTreeSet<i32>> {
    let members = owned.len();
    if members == 0 {
        return BTreeMap::new();
    }
    let total = usize::try_from(partitions).unwrap_or_default();
    let (share, extra) = (total / members, total % members);

    // Those who have most keep the odd ones, else these would move for nothing.
    let mut by_count: Vec<(u64, &BTreeSet<i32>)> = owned.iter().map(|(member, set)| (*member, set)).collect();
    by_count.sort_by_key(|(member, set)| (std::cmp::Reverse(set.len()), *member));
    let mut targets = BTreeMap::new();
    let mut free: BTreeSet<i32> = (0..partitions).collect();
    for (place, (member, set)) in by_count.iter().enumerate() {
        let quota = share + usize::from(place < extra);
        let kept: BTreeSet<i32> = set.iter().copied().take(quota).collect();
        free = &free - &kept;
        targets.insert(*member, (quota, kept));
    }
    targets
        .into_iter()
        .map(|(member, (quota, mut kept))| {
            while kept.len() < quota {
                let Some(partition) = free.pop_first() else { break };
                kept.insert(partition);
            }
            (member, kept)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::assign;

    fn sets(owned: &[(u64, &[i32])]) -> BTreeMap<u64, BTreeSet<i32>> {
        owned
            .iter()
            .map(|(member, set)| (*member, set.iter().copied().collect()))
            .collect()
    }

    #[test]
    fn a_lone_member_has_all_and_a_second_takes_half_without_moving_the_rest() {
        assert_eq!(assign(3, &sets(&[(1, &[])])), sets(&[(1, &[0, 1, 2])]));
        assert_eq!(
            assign(4, &sets(&[(1, &[0, 1, 2, 3]), (2, &[])])),
            sets(&[(1, &[0, 1]), (2, &[2, 3])])
        );
    }

    #[test]
    fn odd_partitions_stay_where_they_are() {
        let settled = sets(&[(1, &[2]), (2, &[0, 1])]);
        assert_eq!(assign(3, &settled), settled);
    }

    #[test]
    fn members_beyond_the_partitions_have_none_and_nobody_is_nobody() {
        let spread = assign(1, &sets(&[(1, &[]), (2, &[0])]));
        assert_eq!(spread, sets(&[(1, &[]), (2, &[0])]));
        assert!(assign(3, &BTreeMap::new()).is_empty());
    }

    #[test]
    fn every_partition_has_exactly_one_owner() {
        for members in 1..6_u64 {
            let owned = (0..members).map(|member| (member, BTreeSet::new())).collect();
            let mut all: Vec<i32> = assign(12, &owned).into_values().flatten().collect();
            all.sort_unstable();
            assert_eq!(all, (0..12).collect::<Vec<_>>());
        }
    }
}
