/* What the header of the registers wants of a C library, where there is none. */

#ifndef ASSERT_H
#define ASSERT_H

#define static_assert _Static_assert

#endif
