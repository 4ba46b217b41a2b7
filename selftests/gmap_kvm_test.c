// SPDX-License-Identifier: GPL-2.0
/*
 * Windows and KVM.  In a machine of its own (vm/kvm), since where a processor that can
 * have guests is emulated, it stands still now and then.
 */
#include "mmext_gmap_window.h"

#define KVM_CREATE_VM_		_IO(0xAE, 0x01)
#define KVM_RUN_SIZE_		_IO(0xAE, 0x04)
#define KVM_CREATE_VCPU_	_IO(0xAE, 0x41)
#define KVM_RUN_		_IO(0xAE, 0x80)

struct kvm_slot {
	__u32 slot;
	__u32 flags;
	__u64 guest;
	__u64 size;
	__u64 user;
};

#define KVM_SET_SLOT_		_IOW(0xAE, 0x46, struct kvm_slot)

static int kvm_open(void)
{
	shell("modprobe -q kvm_amd; modprobe -q kvm_intel");
	return open("/dev/kvm", O_RDWR | O_CLOEXEC);
}

/* A monitor's notifier comes and goes while there is a window */
TEST_F_TIMEOUT(window, kvm_comes_and_goes_meanwhile, 120)
{
	int kvm, vm, i;

	NEED();
	kvm = kvm_open();
	if (kvm < 0)
		SKIP(return, "no KVM in this machine");
	for (i = 0; i < 3; i++) {
		vm = ioctl(kvm, KVM_CREATE_VM_, 0);
		ASSERT_GE(vm, 0);
		madvise(self->host, LENGTH, MADV_PAGEOUT);
		EXPECT_EQ(0, mprotect(HOST(9), page_size, PROT_READ));
		EXPECT_EQ(0, mprotect(HOST(9), page_size,
				      PROT_READ | PROT_WRITE));
		WORD(HOST(i)) = 900 + i;
		EXPECT_EQ(900 + i, WORD(WINDOW(i)));
		EXPECT_EQ(-1, window_differs(self->window, self->host, LENGTH));
		close(vm);
		WORD(HOST(i)) = 950 + i;
		EXPECT_EQ(950 + i, WORD(WINDOW(i)));
	}
	close(kvm);
}

TEST_F_TIMEOUT(window, kvm_on_a_window_is_refused, 120)
{
	struct kvm_slot slot = {
		/* with the address that a processor begins at */
		.guest = 0xfffff000,
		.size = page_size,
	};
	int kvm, vm, vcpu, ret;

	NEED();
	kvm = kvm_open();
	if (kvm < 0)
		SKIP(return, "no KVM in this machine");
	/* hlt, at f000:fff0 */
	HOST(0)[0xff0] = 0xf4;
	EXPECT_EQ(0xf4, peek(self->window + 0xff0));
	vm = ioctl(kvm, KVM_CREATE_VM_, 0);
	ASSERT_GE(vm, 0);
	slot.user = to_u64(self->window);
	ASSERT_EQ(0, ioctl(vm, KVM_SET_SLOT_, &slot));
	vcpu = ioctl(vm, KVM_CREATE_VCPU_, 0);
	ASSERT_GE(vcpu, 0);
	ret = ioctl(vcpu, KVM_RUN_, 0);
	EXPECT_EQ(-1, ret);
	EXPECT_EQ(EFAULT, errno);
	close(vcpu);
	close(vm);
	close(kvm);
	EXPECT_EQ(2, WORD(WINDOW(1)));
}

TEST_HARNESS_MAIN
