//! Which RabbitMQ the nodes run: Debian's, or the one that `TESTBED_RABBITMQ_HOME` points at.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Environment variable with the directory of an unpacked RabbitMQ server that the nodes run in place of Debian's: a
/// `rabbitmq_server-<version>` of the generic Unix package, or anything laid out like Debian's `/usr/lib/rabbitmq`. Its
/// Erlang comes first on `PATH`.
pub const RABBITMQ_HOME_VARIABLE: &str = "TESTBED_RABBITMQ_HOME";
const DEBIAN_HOME: &str = "/usr/lib/rabbitmq";

/// An unpacked RabbitMQ server.
#[derive(Clone, Debug)]
pub struct Installation {
    home: PathBuf,
    scripts: PathBuf,
}

impl Installation {
    /// The one that the environment asks for.
    ///
    /// # Errors
    /// When there is no RabbitMQ there, or no Erlang on `PATH`.
    pub fn find() -> Result<Self> {
        let home = std::env::var_os(RABBITMQ_HOME_VARIABLE).map(PathBuf::from);
        Self::find_in(home.as_deref(), &std::env::var_os("PATH").unwrap_or_default())
    }

    fn find_in(home: Option<&Path>, path: &OsStr) -> Result<Self> {
        let asked = home.is_some();
        // every test program and every node has a working directory of its own
        if home.is_some_and(Path::is_relative) {
            bail!("{RABBITMQ_HOME_VARIABLE}: must be an absolute path");
        }
        let home = home.unwrap_or(Path::new(DEBIAN_HOME));
        let scripts = ["sbin", "bin"].map(|folder| home.join(folder));
        let Some(scripts) = scripts.into_iter().find(|scripts| scripts.join("rabbitmq-server").is_file()) else {
            if asked {
                bail!(
                    "{RABBITMQ_HOME_VARIABLE}: {} holds neither sbin/rabbitmq-server nor bin/rabbitmq-server: name the \
                     directory of an unpacked server, such as rabbitmq_server-4.0.5",
                    home.display()
                );
            }
            bail!("no rabbitmq at {}: run deploy/setup.sh, or set {RABBITMQ_HOME_VARIABLE}", home.display());
        };
        // `escript` runs rabbitmqctl and `epmd` is the port mapper; all three come with Erlang
        for program in ["erl", "escript", "epmd"] {
            if !std::env::split_paths(path).any(|folder| folder.join(program).is_file()) {
                bail!("rabbitmq at {} needs Erlang, and there is no {program} on PATH: add its bin", home.display());
            }
        }
        Ok(Self { home: home.to_owned(), scripts })
    }

    /// One of its command line programs, such as `rabbitmqctl`.
    #[must_use]
    pub fn script(&self, name: &str) -> PathBuf {
        self.scripts.join(name)
    }

    /// Its version, by the name of its main plugin (`plugins/rabbit-4.0.5`, a folder or an `.ez` archive).
    #[must_use]
    pub fn version(&self) -> Option<String> {
        // Debian's scripts are links into the server's own directory
        let server = self.script("rabbitmq-server").canonicalize().ok()?;
        let plugins = std::fs::read_dir(server.parent()?.parent()?.join("plugins")).ok()?;
        plugins.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).find_map(|name| {
            let version = name.strip_prefix("rabbit-")?;
            Some(version.strip_suffix(".ez").unwrap_or(version).to_owned())
        })
    }
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version().unwrap_or_else(|| "of an unknown version".to_owned());
        write!(f, "rabbitmq {version} in {}", self.home.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs of no content in a folder.
    fn plant(folder: &Path, names: &[&str]) {
        std::fs::create_dir_all(folder).unwrap();
        for name in names {
            std::fs::write(folder.join(name), "").unwrap();
        }
    }

    #[test]
    fn both_layouts_are_known_and_the_version_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let erlang = dir.path().join("erlang");
        plant(&erlang, &["erl", "escript", "epmd"]);

        let generic = dir.path().join("rabbitmq_server-4.0.5");
        plant(&generic.join("sbin"), &["rabbitmq-server"]);
        plant(&generic.join("plugins"), &["rabbit-4.0.5.ez", "rabbitmq_shovel-9.9.9.ez"]);
        let found = Installation::find_in(Some(&generic), erlang.as_os_str()).unwrap();
        assert_eq!(found.script("rabbitmqctl"), generic.join("sbin/rabbitmqctl"));
        assert_eq!(found.to_string(), format!("rabbitmq 4.0.5 in {}", generic.display()));

        let debian = dir.path().join("rabbitmq");
        plant(&debian.join("bin"), &[]);
        std::os::unix::fs::symlink(generic.join("sbin/rabbitmq-server"), debian.join("bin/rabbitmq-server")).unwrap();
        let found = Installation::find_in(Some(&debian), erlang.as_os_str()).unwrap();
        assert_eq!((found.script("x"), found.version()), (debian.join("bin/x"), Some("4.0.5".to_owned())));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = Installation::find_in(Some(Path::new("rabbitmq")), OsStr::new("")).unwrap_err().to_string();
        assert!(error.contains("absolute"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        let error = Installation::find_in(Some(dir.path()), OsStr::new("/usr/bin")).unwrap_err().to_string();
        assert!(error.contains("neither sbin/rabbitmq-server nor bin/rabbitmq-server"), "{error}");
        assert!(error.contains(RABBITMQ_HOME_VARIABLE) && error.contains(&*dir.path().to_string_lossy()), "{error}");

        plant(&dir.path().join("sbin"), &["rabbitmq-server", "erl"]);
        let path = dir.path().join("sbin");
        let error = Installation::find_in(Some(dir.path()), path.as_os_str()).unwrap_err().to_string();
        assert!(error.contains("no escript on PATH"), "{error}");
        let error = Installation::find_in(Some(dir.path()), OsStr::new("")).unwrap_err().to_string();
        assert!(error.contains("no erl on PATH"), "{error}");
    }
}
