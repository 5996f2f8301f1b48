/* A bad network on purpose. Chances are none or all, so that each script has one outcome. */
#include "opening.h"

#define ALL " 1000000\n"

static const struct script scripts[] = {
	{"what is lost is sent again, until nothing is lost any more", 0,
		OPEN "+0   fault loss" ALL "+0   write 100\n"
		     "+0   stat tx_fault 1\n"
		     "+0   fault none\n"
		     "+.3~ > P. 1:101(100) ack 1\n"},
	{"everything twice", 0,
		OPEN "+0   fault duplicate" ALL "+0   write 100\n"
		     "+0   > P. 1:101(100) ack 1\n"
		     "+0   > P. 1:101(100) ack 1\n"
		     "+.05 < . 1:1(0) ack 101 win 512\n"
		     "+0   fault none\n"
		     "+0   write 100\n"
		     "+0   > P. 101:201(100) ack 1\n"},
	{"the next one overtakes", 0,
		OPEN "+0   fault reorder" ALL "+0   write 2920\n"
		     "+0   > P. 1461:2921(1460) ack 1\n"
		     "+0   > . 1:1461(1460) ack 1\n"},
	{"one that waits for a next one goes with its connection", 0,
		OPEN "+0   fault reorder" ALL "+0   write 100\n"
		     "+0   fault none\n"
		     "+0   abort\n"
		     "+0   > R. 101:101(0) ack 1\n"},
	{"the window is shut for a while; what was offered is still taken", 0,
		OPEN "+0   fault zero 500\n"
		     "+0   > . 1:1(0) ack 1 win 0\n"
		     "+.1  < P. 1:101(100) ack 1 win 512\n"
		     "+0   > . 1:1(0) ack 101 win 0\n"
		     "+.5  < P. 101:201(100) ack 1 win 512\n"
		     "+0   > . 1:1(0) ack 201\n"},
	{"a FIN in the middle", 0,
		OPEN "+0   write 100\n"
		     "+0   > P. 1:101(100) ack 1\n"
		     "+0   fault truncate\n"
		     "+0   > F. 101:101(0) ack 1\n"},
};

int main(int argc, char **argv)
{
	return script_main("fault", scripts, TG_ARRAY_LEN(scripts), argc, argv);
}
