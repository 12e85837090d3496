/* The program: all it does is hand over to cli/, and say which sources it was built from (the Makefile asks git). Only
 * this file knows the revision, so a commit rebuilds nothing else. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv, CS_REVISION);
}
