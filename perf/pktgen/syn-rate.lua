-- SYN rate: SYNs at rising rates, and at each how many SYN-ACKs came back. A SYN flood is answered by
-- cookies, at most as many as the worker can give without losing packets of connections, so that the
-- answered part falls beyond some rate while the sum must not. Load syn-rate.pkt first.
package.path = package.path .. ";?.lua;test/?.lua;app/?.lua;../?.lua"
require "Pktgen"

local seconds = 10
for _, rate in ipairs({0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100}) do
	pktgen.clr()
	pktgen.set("0", "rate", rate)
	pktgen.start("0")
	pktgen.delay(seconds * 1000)
	pktgen.stop("0")
	pktgen.delay(1000)
	local s = pktgen.portStats("0", "port")[0]
	printf("rate %6.1f %%: %9.0f SYNs/s, %9.0f SYN-ACKs/s\n", rate, s.opackets / seconds, s.ipackets / seconds)
end
