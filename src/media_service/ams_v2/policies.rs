//! Access policies: a handful that are shared, never one for each event (contract ams-v2, section 4.3).

use serde_json::json;
use time::Duration;

use super::AmsV2;
use super::resource::literal;
use super::wire::PolicyRow;
use crate::failure::Failure;

/// What a policy permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permissions {
    /// Read only: an origin locator with more is rejected (contract ams-v2, section 4.4).
    Read,
    /// What copying from a container takes: Read alone cannot enumerate (contract ams-v2, section 4.4).
    ReadList,
    /// What copying to a container and verifying it takes.
    ReadWriteList,
    /// The same where nothing may be read yet.
    WriteList,
}

impl Permissions {
    /// The flags of `AccessPolicy.Permissions`: 1 read, 2 write, 8 list (contract ams-v2, section 3).
    fn flags(self) -> i64 {
        match self {
            Self::Read => 1,
            Self::ReadList => 1 | 8,
            Self::ReadWriteList => 1 | 2 | 8,
            Self::WriteList => 2 | 8,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadList => "read-list",
            Self::ReadWriteList => "read-write-list",
            Self::WriteList => "write-list",
        }
    }
}

/// The durations of streaming locators that we use, in days; the last is as long as it gets.
const DAYS: [i64; 5] = [30, 90, 365, 3650, 36_500];

/// The duration in minutes of the smallest policy that covers `span`.
pub fn minutes_covering(span: Duration) -> i64 {
    let days = DAYS.into_iter().find(|days| Duration::days(*days) >= span).unwrap_or(DAYS[DAYS.len() - 1]);
    days * 24 * 60
}

impl AmsV2 {
    /// The id of our policy with these permissions and that many minutes; made if there is none.
    pub(super) async fn ensure_policy(&self, permissions: Permissions, minutes: i64) -> Result<String, Failure> {
        let name = format!("stream-replicator {} {minutes}", permissions.words());
        let filter = format!("Name eq {}", literal(&name));
        let mut pauses = self.client.pauses();
        loop {
            let rows: Vec<PolicyRow> = self.client.list("AccessPolicies", Some(&filter)).await?;
            if let Some(found) = rows.into_iter().find(|row| is_like(row, permissions, minutes)) {
                return Ok(found.id);
            }
            let body = json!({ "Name": name, "DurationInMinutes": minutes, "Permissions": permissions.flags() });
            match self.client.create::<PolicyRow>("AccessPolicies", body).await {
                Ok(made) => return Ok(made.id),
                Err(error) if error.is_ambiguous() => pauses.pause(error.failure).await?,
                Err(error) => return Err(error.failure),
            }
        }
    }
}

/// A name proves nothing: anybody may have used it.
fn is_like(row: &PolicyRow, permissions: Permissions, minutes: i64) -> bool {
    let same_duration = row.duration_in_minutes.is_some_and(|duration| (duration - minutes as f64).abs() < 0.5);
    same_duration && row.permissions == Some(permissions.flags())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_duration_that_covers_is_taken() {
        for (span, days) in
            [(-1, 30), (0, 30), (30, 30), (31, 90), (90, 90), (364, 365), (3651, 36_500), (99_999, 36_500)]
        {
            assert_eq!(minutes_covering(Duration::days(span)), days * 1440, "{span}");
        }
        assert_eq!(minutes_covering(Duration::days(30) + Duration::milliseconds(1)), 90 * 1440);
    }
}
