//! What a message needs besides the broker: the parts of its sites.

use crate::failure::{Dependency, Part};
use crate::model::{ReplicationJob, ReplicationRequest, SiteName};
use crate::replication::{AllSites, named_jobs, named_route};

/// What can be said before its source is asked: all, for one asset to one replica; else the media service that is asked first.
pub fn at_first(sites: &AllSites, request: &ReplicationRequest) -> Vec<Dependency> {
    // The time makes no difference here.
    let named = named_jobs(request, time::OffsetDateTime::UNIX_EPOCH, sites);
    match (named.as_slice(), named_route(request, sites)) {
        ([job], _) => by_job(sites, job),
        (_, Some(route)) if has_media_service(sites, &route.source) => {
            vec![part_of(&route.source, Part::MediaService)]
        }
        (_, Some(route)) => vec![part_of(&route.source, Part::Storage)],
        (_, None) => Vec::new(),
    }
}

/// All that a job needs: the source's media service first, as it is asked first.
pub fn by_job(sites: &AllSites, job: &ReplicationJob) -> Vec<Dependency> {
    let parts = [Part::MediaService, Part::Storage, Part::Streaming];
    let is_there = |(site, part): &(&SiteName, Part)| *part != Part::MediaService || has_media_service(sites, site);
    let all = parts.into_iter().flat_map(|part| [(&job.source, part), (&job.replica, part)]);
    all.filter(is_there).map(|(site, part)| part_of(site, part)).collect()
}

fn has_media_service(sites: &AllSites, site: &SiteName) -> bool {
    sites.site(site).is_ok_and(|site| site.media.is_some())
}

fn part_of(site: &SiteName, part: Part) -> Dependency {
    Dependency { site: site.clone(), part }
}
