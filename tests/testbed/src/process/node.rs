//! A RabbitMQ node as files and processes: its settings, its environment, its port mapper.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Url;
use rustix::process::Signal;
use tempfile::TempDir;
use uuid::Uuid;

use super::guard::{Guarded, Launch, free_ports, loopback, wait_for};
use super::{Broker, BrokerTls, Installation, RabbitOptions};
use crate::certificates::Certificate;

/// From the start of the process to its greeting.
pub(super) const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The node's files and processes. Fields are dropped in this order: node, port mapper, directory.
pub(super) struct Node {
    process: Option<Guarded>,
    _port_mapper: Guarded,
    dir: TempDir,
    installation: Installation,
    ports: Ports,
}

struct Ports {
    amqp: u16,
    distribution: u16,
    port_mapper: u16,
}

impl Node {
    pub(super) fn create(options: &RabbitOptions) -> Result<(Broker, Self)> {
        let installation = Installation::find()?;
        let [amqp, distribution, port_mapper, management, tls] = free_ports()?;
        let password = Uuid::new_v4().to_string();
        let dir = tempfile::Builder::new().prefix("testbed-rabbitmq-").tempdir()?;
        write_settings(dir.path(), options, &password, management, tls)?;
        let amqp_url = Url::parse(&format!("amqp://testbed:{password}@127.0.0.1:{amqp}"))?;
        let management_url = Url::parse(&format!("http://127.0.0.1:{management}"))?;
        let broker = Broker::new(&amqp_url, options.management.then_some(management_url));
        let broker = if options.tls.is_some() { broker.with_tls_port(tls) } else { broker };
        let mapper = start_port_mapper(dir.path(), port_mapper)?;
        let ports = Ports { amqp, distribution, port_mapper };
        let mut node = Self { process: None, _port_mapper: mapper, dir, installation, ports };
        node.run()?;
        Ok((broker, node))
    }

    fn run(&mut self) -> Result<()> {
        let mut process = Guarded::spawn(Launch {
            program: self.installation.script("rabbitmq-server"),
            args: vec!["-noinput".to_owned()],
            env: self.environment(),
            dir: self.dir.path(),
            log: &self.dir.path().join("node.log"),
            remove_dir: false,
        })?;
        let port = self.ports.amqp;
        wait_for("rabbitmq", START_LIMIT, || {
            process.check_alive("rabbitmq")?;
            Ok(greets(port).then_some(()))
        })
        .with_context(|| process.tail())?;
        self.process = Some(process);
        Ok(())
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Guarded::pid)
    }

    pub(super) fn write_certificate(&mut self, certificate: &Certificate) -> Result<()> {
        write_certificate(self.dir.path(), certificate)
    }

    pub(super) fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.run()
    }

    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    pub(super) fn stop(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |process| process.stop(STOP_LIMIT))
    }

    pub(super) fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.as_mut().context("this rabbitmq node is stopped")?.signal(signal)
    }

    /// The node's log files; the one on its standard output is not among them.
    pub(super) fn log(&self) -> Result<String> {
        let mut log = String::new();
        for file in std::fs::read_dir(self.dir.path().join("log"))? {
            let path = file?.path();
            if path.extension().is_some_and(|ending| ending == "log") {
                log.push_str(&String::from_utf8_lossy(&std::fs::read(path)?));
            }
        }
        Ok(log)
    }

    pub(super) fn ctl(&mut self, args: &[String]) -> Result<String> {
        let output = Command::new(self.installation.script("rabbitmqctl"))
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .envs(self.environment())
            .current_dir(self.dir.path())
            .output()?;
        if !output.status.success() {
            bail!("rabbitmqctl {args:?} failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        let loopback = "127.0.0.1".to_owned();
        vec![
            ("HOME", self.dir.path().display().to_string()),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
            ("RABBITMQ_NODENAME", format!("n{}@localhost", self.ports.amqp)),
            ("ERL_EPMD_PORT", self.ports.port_mapper.to_string()),
            ("ERL_EPMD_ADDRESS", loopback.clone()),
            ("RABBITMQ_MNESIA_BASE", at("data")),
            ("RABBITMQ_LOG_BASE", at("log")),
            ("RABBITMQ_PID_FILE", at("rabbit.pid")),
            ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")),
            ("RABBITMQ_DIST_PORT", self.ports.distribution.to_string()),
            ("RABBITMQ_NODE_IP_ADDRESS", loopback),
            ("RABBITMQ_NODE_PORT", self.ports.amqp.to_string()),
            // busy waiting of idle schedulers would eat the machine that the tests share
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+sbwt none -kernel inet_dist_use_interface {127,0,0,1}".to_owned(),
            ),
            // the script then becomes the node: our child's id is the node's
            ("RABBITMQ_ALLOW_INPUT", "1".to_owned()),
        ]
    }
}

fn write_certificate(dir: &Path, certificate: &Certificate) -> Result<()> {
    std::fs::write(dir.join("server.pem"), &certificate.pem)?;
    Ok(std::fs::write(dir.join("server-key.pem"), &certificate.key_pem)?)
}

/// RabbitMQ, "TLS Support" and the plugin `rabbitmq_auth_mechanism_ssl`.
fn tls_settings(dir: &Path, tls: &BrokerTls, port: u16) -> Result<String> {
    std::fs::write(dir.join("ca.pem"), &tls.authority)?;
    write_certificate(dir, &tls.certificate)?;
    let at = |name: &str| dir.join(name).display().to_string();
    Ok(format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
         ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = {}\nssl_cert_login_from = common_name\n\
         auth_mechanisms.1 = PLAIN\nauth_mechanisms.2 = AMQPLAIN\nauth_mechanisms.3 = EXTERNAL\n",
        at("ca.pem"),
        at("server.pem"),
        at("server-key.pem"),
        tls.wants_clients_certificate,
    ))
}

fn write_settings(
    dir: &Path,
    options: &RabbitOptions,
    password: &str,
    management_port: u16,
    tls_port: u16,
) -> Result<()> {
    let mut conf = format!("default_user = testbed\ndefault_pass = {password}\nloopback_users = none\n");
    conf.push_str(&format!("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management_port}\n"));
    let mut advanced = "[].\n";
    if let Some(limit) = options.consumer_timeout_ms {
        conf.push_str(&format!("consumer_timeout = {limit}\n"));
        // the broker looks at the age of deliveries once per tick, by default once a minute
        advanced = "[{rabbit,[{channel_tick_interval,2000}]}].\n";
    }
    conf.push_str(&options.extra_conf);
    let management = options.management.then_some("rabbitmq_management");
    let mut plugins: Vec<_> = management.into_iter().chain(options.plugins.iter().copied()).collect();
    if let Some(tls) = &options.tls {
        conf.push_str(&tls_settings(dir, tls, tls_port)?);
        plugins.push("rabbitmq_auth_mechanism_ssl");
    }
    std::fs::write(dir.join("rabbitmq.conf"), conf)?;
    std::fs::write(dir.join("advanced.config"), advanced)?;
    std::fs::write(dir.join("enabled_plugins"), format!("[{}].\n", plugins.join(",")))?;
    Ok(())
}

/// Erlang nodes find each other's ports through `epmd`; started by the node itself it would outlive us all.
fn start_port_mapper(dir: &Path, port: u16) -> Result<Guarded> {
    let mut process = Guarded::spawn(Launch {
        program: "epmd".into(),
        args: ["-port", &port.to_string(), "-address", "127.0.0.1"].map(str::to_owned).to_vec(),
        env: Vec::new(),
        dir,
        log: &dir.join("epmd.log"),
        // it lives as long as the node's data, across restarts
        remove_dir: true,
    })?;
    wait_for("epmd", Duration::from_secs(20), || {
        process.check_alive("epmd")?;
        Ok(TcpStream::connect(loopback(port)).ok())
    })?;
    process.check_alive("epmd")?;
    Ok(process)
}

/// Whether a broker answers the protocol header with Connection.Start (a method frame of class 10, method 10; AMQP
/// 0-9-1, sections 4.2.2 and 4.2.3). The port opens before the broker can do that.
fn greets(port: u16) -> bool {
    let greet = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&loopback(port), Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut answer = [0; 11];
        stream.read_exact(&mut answer)?;
        Ok(answer[0] == 1 && answer[7..] == [0, 10, 0, 10])
    };
    greet().unwrap_or(false)
}

/// Whether a start failed because another program took one of its ports meanwhile.
pub(super) fn lost_a_port(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}").to_lowercase();
    ["eaddrinuse", "address already in use", "dist_port_already_used", "epmd ended early"]
        .iter()
        .any(|sign| text.contains(sign))
}
