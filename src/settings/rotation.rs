//! Secrets of sites in files that change while we run.

use super::layers::fill_secrets;
use super::{Problem, Secret, Settings, SiteSettings};

impl Settings {
    /// Whether a secret of a site is in a file, so that it may change while we run.
    #[must_use]
    pub fn has_secret_files(&self) -> bool {
        self.sites.values().any(|site| {
            let media = site.media.as_ref().is_some_and(|media| {
                media.key_file.is_some() || media.client_secret_file.is_some() || media.certificate_file.is_some()
            });
            media || site.storage.key_file.is_some()
        })
    }

    /// These settings with what the files of the sites' secrets hold now; `None` where all hold what was read before.
    ///
    /// # Errors
    /// The keys whose files cannot be read or used; never what a file holds.
    pub fn with_renewed_secrets(&self) -> Result<Option<Self>, Vec<Problem>> {
        let mut renewed = self.clone();
        for site in renewed.sites.values_mut() {
            forget(site);
        }
        // it is read anew for each connection as it is
        renewed.rabbitmq.url_file = None;
        let problems = fill_secrets(&mut renewed);
        renewed.rabbitmq.url_file.clone_from(&self.rabbitmq.url_file);
        if !problems.is_empty() {
            return Err(problems);
        }
        let same = self.sites.values().zip(renewed.sites.values()).all(|(before, now)| secrets(before) == secrets(now));
        Ok((!same).then_some(renewed))
    }
}

fn forget(site: &mut SiteSettings) {
    if site.storage.key_file.is_some() {
        site.storage.key = None;
    }
    if let Some(media) = &mut site.media {
        if media.key_file.is_some() {
            media.key = None;
        }
        if media.client_secret_file.is_some() {
            media.client_secret = None;
        }
    }
}

/// What is to be compared, and never to be printed.
fn secrets(site: &SiteSettings) -> (Vec<Option<&str>>, Option<Vec<u8>>) {
    let media = site.media.as_ref();
    let texts = [
        site.storage.key.as_ref(),
        media.and_then(|media| media.key.as_ref()),
        media.and_then(|media| media.client_secret.as_ref()),
    ];
    let certificate = media.and_then(|media| media.certificate.as_ref());
    (texts.map(|secret| secret.map(Secret::expose)).to_vec(), certificate.map(super::ClientCertificate::thumbprint))
}
