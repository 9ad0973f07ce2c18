//! kill -9 between two steps of an order.

use std::{cell::RefCell, time::Duration};

use futures::future::LocalBoxFuture;
use postbox::manifest;
use tokio::time::{Instant, sleep};

use crate::{
    faults::{
        FaultRow, Length, Wishes,
        scene::{Outcome, Scene},
        world::World,
    },
    kill_points,
    repository::root,
    shoppers::Shoppers,
    site,
};

/// How long it may take until a service passes a point.
const REACHED_WITHIN: Duration = Duration::from_mins(1);

/// How long each shopper looks around between two orders.
const BETWEEN_ORDERS: Duration = Duration::from_secs(2);

/// How often it is looked whether it has died.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The last moments at which the platform knows less, or more, than the customer or the card network.
const SHORT: [&str; 5] = [
    "order.placed.after-commit",
    "order.completed.before-commit",
    "payment.outcome.before-commit",
    "inventory.reserved.after-commit",
    "outbox.marked.before-commit",
];

/// A service dies once at each of its kill points. Where these are all of them, customers who want all kinds of things come
/// beside the load, so that each is passed.
#[derive(Debug, Default)]
pub struct KillAtEachStep {
    shoppers: RefCell<Option<Shoppers>>,
}

impl FaultRow for KillAtEachStep {
    fn name(&self) -> &'static str {
        "kill -9 between two steps"
    }

    fn cannot_be_played(&self) -> Option<String> {
        let order = site::programs().join("order");
        let has_points = kill_points::are_in(&order);
        (!has_points).then(|| format!("{} was built without kill points", order.display()))
    }

    fn wishes(&self, _length: Length) -> Wishes {
        // parcels that leave by themselves pass points as well, and so does the stream of high-value orders where there are any
        let settings = vec![("shipping", "DISPATCH_AFTER", "3"), ("analytics", "HIGH_VALUE_FROM_MINOR", "1")];
        // programs with kill points are not optimised
        Wishes { settings, kill_points: true, ..Wishes::usual(Length::Short) }
    }

    fn prepare<'a>(&'a self, world: &'a mut World) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            // the load passes the points of the short form
            if world.length == Length::Long {
                let shoppers = Shoppers::enter(&world.platform, BETWEEN_ORDERS).await;
                self.shoppers.replace(Some(shoppers));
            }
        })
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            for (service, point) in steps(scene.length) {
                scene
                    .strike(format!("kill -9 of {service} at {point}"), async |world| {
                        die(world, &service, &point).await
                    })
                    .await;
            }
            if let Some(shoppers) = self.shoppers.take() {
                shoppers.leave().await;
            }
        })
    }
}

/// Which service dies where: of what every service passes, order alone.
fn steps(length: Length) -> Vec<(String, String)> {
    let services = manifest::read_all(&root().join("services")).expect("the manifests are right");
    let mut steps = Vec::new();
    for point in kill_points::all() {
        for service in services.iter().filter(|service| point.is_in(service)) {
            let is_of_all = point.file.starts_with("crates/");
            let is_asked_for = length.choose(SHORT.contains(&point.name.as_str()), true);
            if is_asked_for && (!is_of_all || service.name == "order") {
                steps.push((service.name.clone(), point.name.clone()));
            }
        }
    }
    steps
}

async fn die(world: &mut World, service: &str, point: &str) -> Outcome {
    let platform = &mut world.platform;
    platform.set(service, "FAILPOINTS", Some(format!("{point}=1*return")));
    // not asked to end: that would take as long as its slowest call
    platform.kill(service).await;
    platform.start_soon(service);
    platform.set(service, "FAILPOINTS", None);
    let until = Instant::now() + REACHED_WITHIN;
    while Instant::now() < until {
        if platform.died().iter().any(|died| died == service) {
            platform.start_soon(service);
            return Outcome::nothing_else();
        }
        sleep(LOOK_EVERY).await;
    }
    platform.kill(service).await;
    platform.start_soon(service);
    Outcome::Broken(format!("it was not passed in {} s", REACHED_WITHIN.as_secs()))
}
