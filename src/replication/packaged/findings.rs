//! What is wrong with what a manifest names. Pure.

use std::collections::BTreeSet;

use time::OffsetDateTime;
use url::{Host, Url};

use crate::failure::Failure;
use crate::manifests::{Named, Role, Target};
use crate::model::{Location, SiteName};
use crate::replication::names::Names;
use crate::replication::source::incomplete;

/// So many names are told, the others counted.
const SHOWN: usize = 3;

/// Who may be named, and how.
#[derive(Debug)]
pub struct Rules {
    pub location: Location,
    /// The hosts that the source is known by, with ports that are not the usual ones: its streaming endpoint's, its storage's.
    pub source_hosts: Vec<Authority>,
    /// The path of a container's files at both sites, where it is the same one: `/base/container/`.
    pub root: Option<String>,
    pub source: SiteName,
}

/// What one manifest names that cannot be right, and what is to be known of the rest.
#[derive(Debug, Default)]
pub struct Findings {
    missing: Few,
    outside: Few,
    at_source: Few,
    elsewhere: Few,
    /// Other manifests.
    pub playlists: BTreeSet<String>,
    /// Hosts that keys come from.
    pub key_hosts: BTreeSet<String>,
}

/// A few names, and how many there are.
#[derive(Debug, Default)]
struct Few {
    shown: Vec<String>,
    count: usize,
}

impl Few {
    fn add(&mut self, name: String) {
        // byte ranges name one file again and again
        if self.shown.contains(&name) {
            return;
        }
        self.count += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(name);
        }
    }

    fn told(&self) -> String {
        let more = self.count - self.shown.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("'{}'{more}", self.shown.join("', '"))
    }
}

impl Findings {
    /// Takes the next one of what is named.
    pub fn see(&mut self, named: Named, rules: &Rules, names: &Names) {
        let is_media = !matches!(named.role, Role::Key | Role::Other);
        match named.target {
            Target::Inside(name) => self.inside(name, named.role, rules, names),
            Target::FromRoot(address) => match rules.inside(&address) {
                Some(name) => self.inside(name, named.role, rules, names),
                None => self.elsewhere.add(address),
            },
            Target::Outside(address) => self.outside.add(address),
            Target::Absolute(address) => {
                let authority = authority_of(&address);
                match authority {
                    Some(there) if rules.source_hosts.contains(&there) => self.at_source.add(shown(&address)),
                    _ if is_media => self.elsewhere.add(shown(&address)),
                    Some((host, _)) if named.role == Role::Key => {
                        self.key_hosts.insert(host.to_string());
                    }
                    // a key system's own scheme (skd://...), or what is no media
                    _ => {}
                }
            }
            Target::Inline | Target::Variables(_) => {}
        }
    }

    fn inside(&mut self, name: String, role: Role, rules: &Rules, names: &Names) {
        if !rules.location.holds(&name) {
            self.outside.add(name);
        } else if !names.contains(&name) {
            self.missing.add(name);
        } else if role == Role::Playlist {
            self.playlists.insert(name);
        }
    }

    /// The failure that this comes to, if any.
    ///
    /// `received_at`: since when the files are waited for.
    pub fn verify(&self, received_at: OffsetDateTime, manifest: &str, rules: &Rules) -> Result<(), Failure> {
        let permanent = |code, message: String, hint: &str| Err(Failure::permanent(code, message).with_hint(hint));
        if self.at_source.count > 0 {
            let message = format!("'{manifest}' sends players to the source itself: {}", self.at_source.told());
            let hint = "players of the replica would go back to the source: package the stream with relative addresses";
            return permanent("manifest-points-at-source", message, hint).map_err(|it| it.at_site(&rules.source));
        }
        if self.elsewhere.count > 0 {
            let message = format!("'{manifest}' names media that are not part of the asset: {}", self.elsewhere.told());
            let hint = "nobody knows whether they can be played without the source: package the stream with relative addresses";
            return permanent("manifest-points-elsewhere", message, hint).map_err(|it| it.at_site(&rules.source));
        }
        if self.outside.count > 0 {
            let message = format!("'{manifest}' names files that are outside the asset: {}", self.outside.told());
            let hint = "announce the folder that holds all of the stream, or the whole container";
            return permanent("manifest-names-outside", message, hint).map_err(|it| it.at_site(&rules.source));
        }
        if self.missing.count > 0 {
            let message = format!("'{manifest}' names files that are not there: {}", self.missing.told());
            let hint =
                "the stream cannot be played at the source either: upload the files, or encode again, then replay";
            let codes = ["files-not-there-yet", "manifest-names-missing"];
            return Err(incomplete(received_at, codes, message).with_hint(hint).at_site(&rules.source));
        }
        Ok(())
    }
}

impl Rules {
    /// The name of the file at an address from the root, where that is the same file at both sites.
    fn inside(&self, address: &str) -> Option<String> {
        let root = self.root.as_deref()?;
        match Target::resolve("", address.strip_prefix(root)?) {
            Target::Inside(name) => Some(name),
            _ => None,
        }
    }
}

/// A host, and its port where that is not the scheme's own.
pub type Authority = (Host<String>, Option<u16>);

/// Of an address with a host.
pub fn authority_of(address: &str) -> Option<Authority> {
    let address = if address.starts_with("//") { format!("https:{address}") } else { address.to_owned() };
    let address = Url::parse(&address).ok()?;
    Some((address.host()?.to_owned(), address.port()))
}

/// An address for people: its query may hold a signature.
fn shown(address: &str) -> String {
    address.split(['?', '#']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(root: Option<&str>) -> Rules {
        let hosts = ["https://west.example/", "http://10.0.0.1:10000/west", "https://west.blob.example"];
        Rules {
            location: Location::new("films", Some("a")).unwrap(),
            source_hosts: hosts.into_iter().filter_map(authority_of).collect(),
            root: root.map(str::to_owned),
            source: "west".parse().unwrap(),
        }
    }

    /// What one named address comes to: its code, or nothing.
    fn found(role: Role, address: &str, root: Option<&str>) -> Option<&'static str> {
        let (rules, mut names, mut findings) = (rules(root), Names::default(), Findings::default());
        names.insert("a/there.ts");
        names.close();
        let named = Named { role, target: Target::resolve("a/main.m3u8", address), rendition: None };
        findings.see(named, &rules, &names);
        let now = time::OffsetDateTime::now_utc();
        findings.verify(now, "a/main.m3u8", &rules).err().map(|failure| failure.code)
    }

    #[test]
    fn a_file_that_is_named_again_is_told_once() {
        let mut few = Few::default();
        ["a", "b", "a", "a", "c", "d", "b"].into_iter().for_each(|name| few.add(name.to_owned()));
        assert_eq!(few.told(), "'a', 'b', 'c' and 1 more");
    }

    #[test]
    fn every_way_to_name_a_file_comes_to_what_a_viewer_of_the_replica_would_get() {
        let same = Some("/vod/films/");
        for (address, root, code) in [
            ("there.ts", None, None),
            ("missing.ts", None, Some("files-not-there-yet")),
            ("../b/there.ts", None, Some("manifest-names-outside")),
            ("../../there.ts", None, Some("manifest-names-outside")),
            ("https://west.example/vod/films/a/there.ts", same, Some("manifest-points-at-source")),
            ("http://WEST.example/there.ts", None, Some("manifest-points-at-source")),
            ("//west.blob.example/there.ts", None, Some("manifest-points-at-source")),
            ("http://10.0.0.1:10000/west/there.ts", None, Some("manifest-points-at-source")),
            ("http://10.0.0.1:10001/west/there.ts", None, Some("manifest-points-elsewhere")),
            ("https://cdn.example/there.ts", None, Some("manifest-points-elsewhere")),
            ("/vod/films/a/there.ts", same, None),
            ("/vod/films/a/missing.ts", same, Some("files-not-there-yet")),
            ("/vod/films/a/there.ts", None, Some("manifest-points-elsewhere")),
            ("data:text/plain,x", None, None),
        ] {
            assert_eq!(found(Role::Segment, address, root), code, "{address}");
        }
        for address in ["https://keys.example/1", "skd://key-1", "there.ts"] {
            assert_eq!(found(Role::Key, address, None), None, "{address}");
        }
        assert_eq!(found(Role::Key, "https://west.example/1.key", None), Some("manifest-points-at-source"));
    }
}
