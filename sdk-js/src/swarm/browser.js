// What bundlers put in the swarm's place for browsers, which can open no connection of its kind; the client says so.
export const SwarmTransport = null
