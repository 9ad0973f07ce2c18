//! Who listens where.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::failure::Failure;
use crate::manifest::Manifest;

const KAFKA: u16 = 19092;
const KAFKA_CONTROLLERS: u16 = 19192;
const POSTGRES: u16 = 15432;

/// Every port of a platform, all on 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// By the service's name.
    pub services: BTreeMap<String, ServicePorts>,
    /// Of the first broker; the others follow it.
    pub kafka: u16,
    /// Of the first controller; the others follow it.
    pub kafka_controllers: u16,
    /// Of PostgreSQL.
    pub postgres: u16,
    brokers: u16,
}

/// The ports of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServicePorts {
    /// gRPC or HTTP; none for a service that nobody calls.
    pub serve: Option<u16>,
    /// `/livez`, `/readyz`, `/metrics`.
    pub ops: u16,
}

impl Ports {
    /// The usual ports, which the manifests name.
    pub fn usual(manifests: &[Manifest], brokers: u16) -> Self {
        let ports = |manifest: &Manifest| ServicePorts { serve: manifest.port, ops: manifest.ops_port };
        let services = manifests.iter().map(|manifest| (manifest.name.clone(), ports(manifest))).collect();
        Self { services, kafka: KAFKA, kafka_controllers: KAFKA_CONTROLLERS, postgres: POSTGRES, brokers }
    }

    /// All ports from `base` upwards without a gap: those of each service in the order of the manifests, the brokers,
    /// PostgreSQL, the controllers.
    pub fn from_base(manifests: &[Manifest], brokers: u16, base: u16) -> Result<Self, Failure> {
        let of_services = manifests.iter().map(|manifest| 1 + usize::from(manifest.port.is_some())).sum::<usize>();
        let count = u16::try_from(of_services).expect("there are few services") + 2 * brokers + 1;
        if base == 0 || base.checked_add(count).is_none() {
            let last = u16::MAX - count;
            return Err(Failure::usage(format!("--port-base {base}: choose 1 to {last}, as {count} ports are needed")));
        }
        let mut next = base..;
        let mut take = || next.next().expect("the range was checked");
        let services = manifests
            .iter()
            .map(|manifest| {
                let serve = manifest.port.map(|_| take());
                (manifest.name.clone(), ServicePorts { serve, ops: take() })
            })
            .collect();
        let kafka = take();
        let postgres = kafka + brokers;
        Ok(Self { services, kafka, kafka_controllers: postgres + 1, postgres, brokers })
    }

    /// Fails with the first port that another program listens on, who needs it, and the cure.
    pub fn check_free(&self) -> Result<(), Failure> {
        for (port, needed_by) in self.all() {
            if local_servers::ports::is_free(port) {
                continue;
            }
            // the system also gives ports from 32768 up to outgoing connections, and keeps them a minute after the end
            let cure = if somebody_listens(port) {
                "stop what listens there (another Postbox: `postbox down`), or choose other ports with --port-base"
            } else {
                "a connection of another program holds it; try again in a minute, or choose ports with --port-base"
            };
            return Err(Failure::try_again(format!("port {port} is in use, and {needed_by} needs it: {cure}")));
        }
        Ok(())
    }

    /// Every port with who needs it.
    fn all(&self) -> Vec<(u16, String)> {
        let mut all = Vec::new();
        for (name, ports) in &self.services {
            all.extend(ports.serve.map(|port| (port, name.clone())));
            all.push((ports.ops, format!("{name} (ops)")));
        }
        for index in 0..self.brokers {
            all.push((self.kafka + index, format!("kafka-{}", index + 1)));
            all.push((self.kafka_controllers + index, format!("kafka-{} (controller)", index + 1)));
        }
        all.push((self.postgres, "postgres".to_owned()));
        all
    }
}

fn somebody_listens(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Duration::from_secs(1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifests() -> Vec<Manifest> {
        [("gateway", 8080, 9050), ("order", 50052, 9052), ("psp", 50060, 9060)]
            .map(|(name, port, ops_port)| {
                let text = format!("name = \"{name}\"\nport = {port}\nops_port = {ops_port}\nserve = \"http\"");
                toml::from_str(&text).expect("it is valid")
            })
            .to_vec()
    }

    #[test]
    fn the_usual_ports_are_those_of_the_manifests() {
        let ports = Ports::usual(&manifests(), 1);
        assert_eq!(ports.services["order"], ServicePorts { serve: Some(50052), ops: 9052 });
        assert_eq!((ports.kafka, ports.postgres), (19092, 15432));
    }

    #[test]
    fn a_base_gives_every_port_once_and_leaves_no_gap() {
        for brokers in [1, 3] {
            let ports = Ports::from_base(&manifests(), brokers, 20_000).expect("there is room");
            let mut taken: Vec<u16> = ports.all().into_iter().map(|(port, _)| port).collect();
            taken.sort_unstable();
            let count = 6 + 2 * brokers + 1;
            assert_eq!(taken, (20_000..20_000 + count).collect::<Vec<u16>>());
        }
    }

    #[test]
    fn a_base_follows_the_order_of_the_manifests() {
        let ports = Ports::from_base(&manifests(), 1, 20_000).expect("there is room");
        assert_eq!(ports.services["gateway"], ServicePorts { serve: Some(20_000), ops: 20_001 });
        assert_eq!(ports.services["psp"], ServicePorts { serve: Some(20_004), ops: 20_005 });
        assert_eq!((ports.kafka, ports.postgres), (20_006, 20_007));
    }

    #[test]
    fn a_service_that_nobody_calls_takes_one_port() {
        let follower = toml::from_str("name = \"loyalty\"\nops_port = 9070").expect("it is valid");
        let manifests = [manifests(), vec![follower]].concat();
        let ports = Ports::from_base(&manifests, 1, 20_000).expect("there is room");
        assert_eq!(ports.services["loyalty"], ServicePorts { serve: None, ops: 20_006 });
        assert_eq!((ports.kafka, ports.postgres), (20_007, 20_008));
        assert_eq!(ports.all().len(), 10);
    }

    #[test]
    fn a_base_without_room_above_it_is_refused_with_the_highest_that_has_it() {
        let refused = Ports::from_base(&manifests(), 1, 65_530).expect_err("there is no room").to_string();
        assert_eq!(refused, "--port-base 65530: choose 1 to 65526, as 9 ports are needed");
        assert!(Ports::from_base(&manifests(), 1, 65_526).is_ok());
    }

    #[test]
    fn a_port_in_use_is_named_with_who_needs_it_and_the_cure() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let mut ports = Ports::usual(&manifests(), 1);
        ports.services = BTreeMap::new();
        ports.kafka = listener.local_addr().expect("it is bound").port();
        let refused = ports.check_free().expect_err("it is in use").to_string();
        assert!(refused.contains(", and kafka-1 needs it: stop what"), "{refused}");
        assert!(refused.ends_with("--port-base"), "{refused}");
    }
}
