//! `allow` and `deny`: who may have it, by address.

use std::net::IpAddr;
use std::rc::Rc;

use crate::config::context::{HTTP_SERVER_LOCATION, LIMIT_EXCEPT};
use crate::config::{Contexts, Directive, Finish, Mistake, Module, Outcome, Use, directive};
use crate::exchange::{Exchange, Handler, Location, Phase, Satisfy, Step};
use crate::http::Status;
use crate::log::level::Level;
use crate::net::address::Address;
use crate::net::cidr::Cidr;

/// Lets clients in or turns them away.
pub struct Access;

/// The rules of one block.
#[derive(Clone, Default)]
pub struct Settings {
    /// Those written in the block itself.
    own: Vec<Rule>,
    /// Those in force.
    rules: Rc<[Rule]>,
}

/// Whom a rule is for, and what it says.
#[derive(Clone, Copy, Debug)]
struct Rule {
    whom: Whom,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug)]
enum Whom {
    All,
    /// Clients on Unix sockets.
    Unix,
    Network(Cidr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allow,
    Deny,
}

const CONTEXTS: u32 = HTTP_SERVER_LOCATION | LIMIT_EXCEPT;

impl Module for Access {
    type Settings = Settings;
    const NAME: &'static str = "access";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("allow")
            .syntax("address | CIDR | unix: | all")
            .contexts(CONTEXTS)
            .doc("Lets clients of an address or network in; of all rules the first that fits decides.")
            .repeat(|settings, d| settings.add(Verdict::Allow, d)),
        directive("deny")
            .syntax("address | CIDR | unix: | all")
            .contexts(CONTEXTS)
            .doc("Answers clients of an address or network with 403; of all rules the first that fits decides.")
            .repeat(|settings, d| settings.add(Verdict::Deny, d)),
    ];

    /// A block with rules of its own has no others.
    fn inherit(parent: &Rc<Settings>, _: Contexts) -> Rc<Settings> {
        if parent.own.is_empty() {
            return Rc::clone(parent);
        }
        Rc::new(Settings {
            own: Vec::new(),
            rules: Rc::clone(&parent.rules),
        })
    }

    fn finish(settings: &mut Rc<Settings>, _: &mut Finish<'_>) -> Outcome {
        if !settings.own.is_empty() {
            let settings = Rc::make_mut(settings);
            settings.rules = settings.own.as_slice().into();
        }
        Ok(())
    }

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if !settings.rules.is_empty() {
            let rules = Rules(Rc::clone(&settings.rules));
            location.add_handler(Phase::Access, Rc::new(rules));
        }
    }
}

impl Settings {
    fn add(&mut self, verdict: Verdict, d: &Use<'_>) -> Outcome {
        let whom = Whom::parse(d)?;
        self.own.push(Rule { whom, verdict });
        Ok(())
    }
}

impl Whom {
    fn parse(d: &Use<'_>) -> Result<Whom, Mistake> {
        match d.arg(0) {
            b"all" => return Ok(Whom::All),
            b"unix:" => return Ok(Whom::Unix),
            _ => {}
        }
        let (network, has_low_bits) =
            Cidr::parse(d.arg(0)).ok_or_else(|| d.invalid_parameter(0))?;
        if has_low_bits {
            let shown = d.lossy(0);
            d.warn(0, format!("low address bits of {shown} are meaningless"));
        }
        Ok(Whom::Network(network))
    }

    /// Whether there may be IPv4 clients among them.
    fn has_ipv4(self) -> bool {
        match self {
            Whom::All => true,
            Whom::Unix => false,
            Whom::Network(network) => network.network().is_ipv4(),
        }
    }

    fn includes(self, client: Option<IpAddr>) -> bool {
        match (self, client) {
            (Whom::All, _) | (Whom::Unix, None) => true,
            (Whom::Network(network), Some(ip)) => network.contains_as_is(ip),
            _ => false,
        }
    }
}

/// The rules in force, in their order.
struct Rules(Rc<[Rule]>);

impl Rules {
    /// What they say of a client; `None` if nothing.
    fn verdict(&self, client: &Address) -> Option<Verdict> {
        let mut ip = client.ip();
        // An IPv4 client of an IPv6 socket meets the rules for IPv4, if there are any.
        if self.0.iter().any(|rule| rule.whom.has_ipv4()) {
            ip = ip.map(|ip| ip.to_canonical());
        }
        let rule = self.0.iter().find(|rule| rule.whom.includes(ip));
        rule.map(|rule| rule.verdict)
    }
}

impl Handler for Rules {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match self.verdict(exchange.client()) {
            None => Step::Declined,
            Some(Verdict::Allow) => Step::Granted,
            Some(Verdict::Deny) => {
                if exchange.location.core.satisfy == Satisfy::All {
                    exchange.log(Level::Error, format_args!("access forbidden by rule"));
                }
                Step::status(Status::FORBIDDEN)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::fixture::{found_in_server, in_server};
    use crate::modules::tests::trial::{Site, status};

    fn client(text: &str) -> Address {
        match text.strip_prefix("unix:") {
            Some(path) => Address::Unix(path.into()),
            None => Address::Inet((text.parse::<IpAddr>().unwrap(), 9).into()),
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        use Verdict::{Allow, Deny};
        let cases = [
            ("", "10.0.0.1", None),
            ("deny all;", "10.0.0.1", Some(Deny)),
            ("deny all;", "::1", Some(Deny)),
            ("deny all;", "unix:", Some(Deny)),
            ("allow 10.0.0.0/8; deny all;", "10.0.0.1", Some(Allow)),
            ("allow 10.0.0.0/8; deny all;", "11.0.0.1", Some(Deny)),
            ("deny all; allow 10.0.0.0/8;", "10.0.0.1", Some(Deny)),
            ("deny unix:;", "10.0.0.1", None),
            ("deny unix:;", "unix:/s", Some(Deny)),
            ("allow unix:; deny all;", "unix:", Some(Allow)),
            ("deny 2001:db8::/32;", "2001:db8::1", Some(Deny)),
            ("deny 2001:db8::/32;", "2001:db9::1", None),
            ("deny 10.0.0.1;", "::ffff:10.0.0.1", Some(Deny)),
            ("deny ::/0;", "::ffff:10.0.0.1", Some(Deny)),
            ("deny ::/0; allow 10.0.0.1;", "::ffff:10.0.0.1", Some(Allow)),
            ("deny ::/0; allow 10.0.0.1;", "::ffff:10.0.0.2", None),
        ];
        for (rules, who, expected) in cases {
            let rules_in_force = in_server(rules, |block| {
                Rules(block.settings::<Access>().rules.clone())
            });
            assert_eq!(
                rules_in_force.verdict(&client(who)),
                expected,
                "{rules} {who}"
            );
        }
    }

    #[test]
    fn mistakes() {
        for (text, message) in [
            ("allow x;", "invalid parameter \"x\""),
            ("deny 10.0.0.0/33;", "invalid parameter \"10.0.0.0/33\""),
            ("deny unix:/s;", "invalid parameter \"unix:/s\""),
            (
                "allow 10.0.0.1/8;",
                "low address bits of 10.0.0.1/8 are meaningless",
            ),
        ] {
            assert_eq!(found_in_server(text), [message], "{text}");
        }
    }

    #[test]
    fn blocks_inherit_rules_or_have_their_own() {
        let site = Site::new(
            "deny all; \
             location /inherits { } \
             location /open { allow all; } \
             location /write { allow all; limit_except GET { deny all; } } \
             location /any { satisfy any; } \
             location /other { deny 10.0.0.0/8; }",
        );
        let cases = [
            ("GET", "/inherits", 403),
            ("GET", "/open", 404),
            ("HEAD", "/write", 404),
            ("POST", "/write", 403),
            ("GET", "/any", 403),
            ("GET", "/other", 404),
        ];
        for (method, target, expected) in cases {
            let response = site.ask(method, target, &[]);
            assert_eq!(status(&response), expected, "{method} {target}");
        }
        let log = site.log();
        let refused = log.matches("access forbidden by rule, client: 127.0.0.1");
        assert_eq!(refused.count(), 3, "{log}");
    }
}
