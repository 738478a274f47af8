#include <stdio.h>

int main(void)
{
    puts("adtally " ADTALLY_VERSION);
    return 0;
}
