"""What a rollout asks the service: its own requests, of the candidate and at the public address."""

from check import check


class Questions:
    """token(audience) gives the identity token that a private service asks for; None for others.
    Its audience is the public address, whatever the candidate's, or each address that is asked."""

    def __init__(self, token=None, for_each_address=False):
        self.token, self.for_each_address, self.fields = token, for_each_address, {}

    def authorization(self, audience):
        if self.token and audience not in self.fields:
            self.fields[audience] = {"Authorization": f"Bearer {self.token(audience)}"}
        return self.fields.get(audience, {})

    def ask(self, region, url, revision, **fields):
        environment = region.deployed.environment
        greeting = environment.get("GREETING", "Hello"), environment.get("GREETING_NAME", "World")
        fields.update(self.authorization(url if self.for_each_address else region.public_url))
        return check(url, region.rollout.commit, revision, *greeting, fields)

    def candidate(self, region):
        """Returns how many requests that took."""
        return self.ask(region, region.url, region.candidate, **{"X-Candidate": region.name})

    def public(self, region):
        """Any revision with this commit: a load balancer decides by itself which region answers."""
        self.ask(region, region.public_url, None)
